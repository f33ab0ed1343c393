insert into singles
select unnest(from_json(
    $rows,
    '[{
        "month": "date", "type": "varchar", "sourceName": "varchar", "sourceVersion": "varchar",
        "unit": "varchar", "value": "varchar", "start_at": "timestamp", "end_at": "timestamp",
        "created_at": "timestamp", "metadata": "varchar", "more": "varchar", "device": "varchar",
        "offsets": "varchar"
    }]'
), max_depth := 2)
