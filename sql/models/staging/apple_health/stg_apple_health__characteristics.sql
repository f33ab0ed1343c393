with records as (
    select * from {{ lake('apple_health', 'characteristics') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    try_cast(record ->> '$.Me.HKCharacteristicTypeIdentifierDateOfBirth' as date) as born_on,
    replace(
        record ->> '$.Me.HKCharacteristicTypeIdentifierBiologicalSex', 'HKBiologicalSex', ''
    ) as biological_sex,
    replace(
        record ->> '$.Me.HKCharacteristicTypeIdentifierBloodType', 'HKBloodType', ''
    ) as blood_type,
    record ->> '$.HealthData.locale' as locale,
    record -> '$.Me' as everything
from records
