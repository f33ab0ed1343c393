-- Every word must occur, in any of the texts, whatever its case and accents.
with told as (
    select
        *,
        lower(strip_accents(concat_ws(' ', title, detail, place, text, array_to_string(people, ' '))))
            as words
    from timeline
    where (local_day >= $since or $since is null)
        and (local_day <= $until or $until is null)
        and (source = $source or $source is null)
        and (kind = $kind or $kind is null)
)

select
    local_day,
    kind,
    source,
    title,
    detail,
    place,
    amount,
    currency,
    by_others,
    event_id,
    reference
from told
where coalesce(
    list_bool_and(list_transform($words, word -> contains(words, lower(strip_accents(word))))), true
)
order by local_day desc, start_at desc nulls last, event_id
limit $limit
