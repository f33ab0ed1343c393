-- The records of a file that `records_take` leaves out, as they are written.
select
    concat_ws(
        '"', p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18,
        p19, p20, p21, p22, p23, p24, p25
    ) as record
from lines_of($path) as line
left join heads on heads.head = head_of(tag, line.ending, created, started, ended)
left join endings on endings.ending = line.ending
where not (
    is_plain("value", created, started, ended, $latest)
    and coalesce(heads.regular, false)
    and coalesce(endings.regular, false)
)
