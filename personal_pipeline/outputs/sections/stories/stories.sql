-- Every story published before the day of the report, the most viewed first. Views and reads are
-- lifetime totals.
select
    story_id,
    coalesce(nullif(trim(title), ''), story_id) as title,
    url,
    cast(published_at as date) as published_on,
    cast(presentations as bigint) as presentations,
    cast(views as bigint) as views,
    cast(reads as bigint) as reads,
    cast(read_ratio as double) as read_ratio,
    cast(earnings as decimal(18, 3)) as earnings,
    lower(earnings_currency) as earnings_currency,
    coalesce(boosted, false) as boosted,
    cast(last_captured_on as date) as last_captured_on
from marts.story_stats
where published_at is null or cast(published_at as date) < $day
order by views desc nulls last, published_on desc nulls last, story_id
