insert into lines by name
select cast(date_trunc('month', start_at) as date) as month, *
from taken
