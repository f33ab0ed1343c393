with records as (
    select * from {{ lake('apple_health', 'activity_summaries') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    try_cast(record ->> '$.dateComponents' as date) as day,
    {{ health_quantity(
        "record ->> '$.activeEnergyBurned'", "record ->> '$.activeEnergyBurnedUnit'"
    ) }} as active_energy_kcal,
    {{ health_quantity(
        "record ->> '$.activeEnergyBurnedGoal'", "record ->> '$.activeEnergyBurnedUnit'"
    ) }} as active_energy_goal_kcal,
    try_cast(record ->> '$.appleMoveTime' as double) as move_minutes,
    try_cast(record ->> '$.appleMoveTimeGoal' as double) as move_goal_minutes,
    try_cast(record ->> '$.appleExerciseTime' as double) as exercise_minutes,
    try_cast(record ->> '$.appleExerciseTimeGoal' as double) as exercise_goal_minutes,
    try_cast(record ->> '$.appleStandHours' as double) as stand_hours,
    try_cast(record ->> '$.appleStandHoursGoal' as double) as stand_goal_hours
from records
