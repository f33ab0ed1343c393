{{ recorded_samples('fit', 'fit', ref('stg_fit__recording_samples')) }}
