select name, type, description, by_others
from about.columns
where table_name = $table
order by rowid
