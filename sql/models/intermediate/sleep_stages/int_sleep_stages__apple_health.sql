select
    month,
    'apple_health' as source,
    record_key,
    lake_file,
    case replace("value", 'HKCategoryValueSleepAnalysis', '')
        when 'InBed' then 'in_bed'
        when 'AsleepCore' then 'core'
        when 'AsleepDeep' then 'deep'
        when 'AsleepREM' then 'rem'
        when 'Awake' then 'awake'
        -- before iOS 16 a phone knew of no stages
        when 'Asleep' then 'asleep'
        when 'AsleepUnspecified' then 'asleep'
        when '1' then 'asleep'
        else 'unknown'
    end as stage,
    start_at,
    end_at,
    timezone as zone,
    coalesce(source_name, '') as device,
    {{ health_priority('source_name', 'device', 'is_user_entered') }} as priority
from {{ ref('stg_apple_health__records') }}
where measure = 'SleepAnalysis'
