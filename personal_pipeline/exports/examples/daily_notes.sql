-- description: What happened, into the daily notes of an Obsidian vault.
-- format: markdown
-- folder: ~/Obsidian
-- when: change
select
    'Daily/' || local_day as note,
    string_agg(
        '- ' || coalesce(strftime(local_at, '%H:%M') || ' ', '') || title
        || coalesce(' (' || detail || ')', ''),
        chr(10) order by local_at nulls first, event_id
    ) as text
from timeline
-- words of others stay outside of the vault, and so does every single payment
where not by_others and kind not in ('payment', 'refund', 'payout')
group by local_day
order by local_day
