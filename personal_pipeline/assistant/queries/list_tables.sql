select name, area, description, key, left_out
from about.tables
order by area, name
