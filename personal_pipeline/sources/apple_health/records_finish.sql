-- Texts that repeat become numbers of a list in their order: they are sorted and written as such.
create type type_name as enum (
    select distinct "type" from heads where "type" is not null order by "type"
);
create type source_name as enum (
    select distinct "sourceName" from heads where "sourceName" is not null order by "sourceName"
);
create type source_version as enum (
    select distinct "sourceVersion" from heads
    where "sourceVersion" is not null order by "sourceVersion"
);
create type unit_name as enum (
    select distinct unit from heads where unit is not null order by unit
);
create type device_name as enum (
    select distinct device from heads where device is not null order by device
);

create table numbered as
select
    head,
    cast("type" as type_name) as "type",
    cast("sourceName" as source_name) as "sourceName",
    cast("sourceVersion" as source_version) as "sourceVersion",
    cast(unit as unit_name) as unit,
    cast(device as device_name) as device
from heads;

create view records as
select
    lines.month,
    numbered."type",
    numbered."sourceName",
    numbered."sourceVersion",
    numbered.unit,
    lines."value",
    lines.start_at,
    lines.end_at,
    lines.created_at,
    lines.metadata,
    lines.more,
    numbered.device,
    lines.offsets
from lines
inner join numbered using (head);
