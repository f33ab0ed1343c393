// Draws the charts of a dashboard. Text from a row is only ever set as text: it may be by others.
"use strict";

const page = JSON.parse(document.getElementById("page").textContent);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const COLOURS = [
  ...["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"],
  ...["eleventh", "twelfth"],
];

const DAY = /^\d{4}-\d\d-\d\d$/;

const number = (value) =>
  typeof value === "number" ? value.toLocaleString(undefined, { maximumFractionDigits: 2 }) : value ?? "–";

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

// The address of the rows behind one row of a chart.
function rowsBehind(opens, row) {
  const query = new URLSearchParams();
  for (const [column, from] of Object.entries(opens.where)) {
    const value = from.startsWith(":") ? page.filters[from.slice(1)] : row[from];
    if (value === null) query.set(`${column}__isnull`, 1);
    else if (value !== "") query.set(column, value);
  }
  return `/tables/${opens.table}?${query}`;
}

function drawFigures(place, rows) {
  const list = document.createElement("dl");
  list.className = "figures";
  for (const [name, value] of Object.entries(rows[0]))
    list.append(element("div", null, element("dt", name), element("dd", number(value))));
  place.replaceChildren(list);
}

function drawTable(place, rows, opens) {
  // a column that only leads to the row behind is not shown
  const hidden = opens ? Object.values(opens.where).filter((each) => each.endsWith("_id")) : [];
  const columns = Object.keys(rows[0]).filter((each) => !hidden.includes(each));
  const body = rows.map((row) => {
    const cells = columns.map((column, at) => {
      const cell = element("td", null);
      if (at === 0 && opens) {
        const link = element("a", number(row[column]));
        link.href = rowsBehind(opens, row);
        cell.append(link);
      } else {
        cell.textContent = number(row[column]);
      }
      if (typeof row[column] === "number") cell.className = "number";
      if (DAY.test(row[column])) cell.className = "day";
      return cell;
    });
    return element("tr", null, ...cells);
  });
  const head = columns.map((column) => {
    const cell = element("th", column.replaceAll("_", " "));
    if (typeof rows[0][column] === "number") cell.className = "number";
    return cell;
  });
  place.replaceChildren(
    element("table", null, element("thead", null, element("tr", null, ...head)), element("tbody", null, ...body)),
  );
}

function drawMarks(place, rows, chart) {
  const values = chart.opens
    ? rows.map((row) => ({ ...row, rows_behind: rowsBehind(chart.opens, row) }))
    : rows;
  const ink = colour("--ink");
  const muted = colour("--muted");
  const axis = { labelColor: muted, titleColor: muted, gridColor: colour("--line"), domain: false, tickColor: colour("--line") };
  const { encoding = {}, ...display } = chart.display;
  const link = chart.opens ? { href: { field: "rows_behind" } } : {};
  const spec = {
    width: "container",
    height: 240,
    autosize: { type: "fit-x", contains: "padding" },
    ...display,
    encoding: { ...encoding, ...link },
    data: { values },
    config: {
      background: "transparent",
      view: { stroke: null },
      axis,
      legend: { labelColor: ink, titleColor: muted, orient: "bottom", columns: 4 },
      font: "system-ui, sans-serif",
      range: { category: COLOURS.map((name) => colour(`--${name}`)) },
      mark: { color: colour("--first"), cursor: link.href ? "pointer" : undefined },
    },
  };
  // the interpreter evaluates expressions without making code of them, which our policy forbids
  return vegaEmbed(place, spec, { ast: true, actions: false, renderer: "svg", mode: "vega-lite" });
}

async function draw(chart) {
  const place = document.querySelector(`#${CSS.escape(chart.id)} .drawn`);
  try {
    const query = new URLSearchParams({ ...page.filters, _shape: "objects" });
    const answer = await fetch(`${chart.data}?${query}`);
    const { rows, error, truncated } = await answer.json();
    if (!answer.ok) throw new Error(error);
    if (!rows.length) place.textContent = "No rows.";
    else if (chart.kind === "figures") drawFigures(place, rows);
    else if (chart.kind === "table") drawTable(place, rows, chart.opens);
    else await drawMarks(place, rows, chart);
    if (truncated) place.append(element("p", "Only the first rows are shown: choose fewer days."));
  } catch (error) {
    place.textContent = `This could not be drawn: ${error.message}`;
  }
  place.dataset.drawn = "yes";
}

const drawAll = () => page.charts.forEach(draw);
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
