// Searches while somebody types. Text of a hit is only ever set as text: it may be by others.
"use strict";

const PAUSE_MS = 120;

const form = document.querySelector("form.search");
const field = form.querySelector("[name=q]");
const said = document.querySelector(".said");
const list = document.querySelector(".hits");
let waiting = null;
let asking = null;

function span(name, ...children) {
  const made = document.createElement("span");
  made.className = name;
  made.append(...children);
  return made;
}

const marked = (pieces) =>
  pieces.map(([text, isMatch]) => {
    if (!isMatch) return text;
    const mark = document.createElement("mark");
    mark.textContent = text;
    return mark;
  });

// the same as search.html has
function item(hit) {
  const link = document.createElement("a");
  link.href = `/-/day/${encodeURIComponent(hit.day)}`;
  link.append(span("title", ...marked(hit.title)), span("when", hit.time ? `${hit.day} ${hit.time}` : hit.day));
  if (hit.snippet.length) link.append(span("snippet", ...marked(hit.snippet)));
  link.append(span("about", hit.about.join(" · ")));
  const made = document.createElement("li");
  made.append(link);
  return made;
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const query = new URLSearchParams({ q: field.value });
  history.replaceState(null, "", field.value ? `?${query}` : location.pathname);
  query.set("typing", 1);
  try {
    const answer = await fetch(`/-/search.json?${query}`, { signal: asking.signal });
    if (!answer.ok) throw new Error(`the site answered ${answer.status}`);
    const found = await answer.json();
    said.textContent = found.said;
    list.replaceChildren(...found.hits.map(item));
    list.dataset.of = found.typed;
  } catch (error) {
    if (error.name !== "AbortError") said.textContent = `This could not be searched: ${error.message}`;
  }
}

field.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(ask, PAUSE_MS);
});

// arrows walk through the hits, Escape leads back
document.addEventListener("keydown", (event) => {
  const links = [field, ...list.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && at >= 0) {
    const next = links[at + step];
    if (next) {
      next.focus();
      event.preventDefault();
    }
  } else if ((event.key === "Escape" && at > 0) || (event.key === "/" && document.activeElement !== field)) {
    field.focus();
    event.preventDefault();
  }
});
