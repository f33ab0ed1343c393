insert into lines
select
    cast(date_trunc('month', start_at) as date) as month,
    heads.id,
    endings.id,
    "value",
    start_at,
    end_at,
    created_at
from batch
inner join heads using (head)
inner join endings using (ending)
where batch.plain and heads.regular and endings.regular
