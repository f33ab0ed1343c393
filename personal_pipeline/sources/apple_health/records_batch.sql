create or replace temp table batch as
select
    head_of(tag, ending, created, started, ended) as head,
    ending,
    "value",
    moment(created) as created_at,
    moment(started) as start_at,
    moment(ended) as end_at,
    is_plain("value", created, started, ended, $latest) as plain,
    p25 is not null as cut
from lines_of($path)
