{{ recorded_samples('strava', 'strava_file', ref('stg_strava__recording_samples')) }}
