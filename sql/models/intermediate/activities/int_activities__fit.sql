{{ recorded_activities('fit', 'fit', ref('stg_fit__recordings')) }}
