-- The currency that Medium pays in: the one of most stories.
select lower(earnings_currency) as currency
from marts.story_stats
where earnings_currency is not null and (published_at is null or cast(published_at as date) < $day)
group by lower(earnings_currency)
order by count(*) desc, currency
limit 1
