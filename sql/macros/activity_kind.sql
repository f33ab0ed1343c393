{# What kind of activity a word of Strava, FIT, GPX, TCX or Apple means, in the languages in which
   Strava and others write: whole words (or several, with one blank between them), in lower case.
   Writings without blanks have theirs `inside`. The first kind counts of which a word is there. A word
   that is in no list gives null, which may be any kind when recordings are compared; so does one that
   means this here and that there, such as `rower` (to row, or Polish for a bicycle) and `kayak` (a
   boat, or Turkish for skiing). #}
{% macro activity_kinds() %}
    {{ return([
        [none, {
            'words': ['swim bike run', 'triathlon', 'multisport', 'multi sport', 'transition', 'horse',
                'horseback', 'motor', 'motorbike', 'motorcycle', 'motorcycling', 'jet ski', 'water ski',
                'water skiing']
        }],
        ['gym', {'words': ['stair', 'stairs', 'floor climbing']}],
        ['ski', {
            'words': ['ski', 'skiing', 'snowboard', 'snowboarding', 'skifahren', 'alpinski', 'langlauf',
                'skilanglauf', 'skitour', 'rollski', 'snowboarden', 'esquí', 'esqui', 'sci',
                'scialpinismo', 'skiën', 'langlaufen', 'narty', 'narciarstwo', 'narciarski',
                'narciarskie', 'skidor', 'skidåkning', 'längdskidor', 'längdskidåkning', 'langrenn',
                'skitur', 'langrend', 'skiløb', 'lyže', 'lyžování', 'běžky', 'лыжи', 'лыжах',
                'сноуборд', 'сноуборде'],
            'inside': ['スキー', 'スノーボード', '스키', '스노보드', '滑雪']
        }],
        ['skate', {
            'words': ['skate', 'skating', 'skateboard', 'skateboarding', 'eislauf', 'eislaufen',
                'skaten', 'inlineskaten', 'inlineskating', 'patin', 'patinage', 'patinaje',
                'pattinaggio', 'patinação', 'patinagem', 'patins', 'schaatsen', 'skeeleren', 'łyżwy',
                'łyżwach', 'łyżwiarstwo', 'rolki', 'rolkach', 'skridskor', 'skridskoåkning', 'skøyter',
                'skøjteløb', 'bruslení', 'коньки', 'коньках', 'ролики', 'роликах'],
            'inside': ['スケート', '스케이트', '스케이팅', '滑冰', '溜冰', '轮滑', '輪滑']
        }],
        ['ride', {
            'words': ['ride', 'cycling', 'cycle', 'bike', 'biking', 'bicycle', 'bicycling', 'ebike',
                'bmx', 'cyclocross', 'gravel', 'handcycle', 'handcycling', 'velomobile', 'mtb',
                'mountainbike', 'spinning', 'radfahrt', 'radfahren', 'rad', 'radtour', 'radsport',
                'rennrad', 'fahrrad', 'fahrradfahren', 'fahrradfahrt', 'fahrradtour', 'mountainbiken',
                'mountainbikefahrt', 'handbike', 'vélo', 'vtt', 'cyclisme', 'bici', 'bicicleta',
                'ciclismo', 'btt', 'bicicletta', 'pedalata', 'pedalada', 'rit', 'fiets', 'fietsen',
                'fietsrit', 'fietstocht', 'wielrennen', 'mountainbikerit', 'rowerem', 'rowerze',
                'rowerowa', 'rowerowy', 'kolarstwo', 'cykel', 'cykling', 'cykeltur', 'cykelpass',
                'sykkel', 'sykling', 'sykkeltur', 'terrengsykling', 'kolo', 'kole', 'cyklistika',
                'bisiklet', 'pyöräily', 'bersepeda', 'велосипед', 'велосипеде', 'велоспорт',
                'велозаезд', 'велопрогулка', 'заезд'],
            'inside': ['サイクリング', 'ライド', '自転車', '라이딩', '자전거', '사이클', '骑行', '騎行',
                '骑车', '騎車', '自行车', '自行車', '单车', '單車']
        }],
        ['swim', {
            'words': ['swim', 'swimming', 'schwimmen', 'freiwasserschwimmen', 'natation', 'nage',
                'natación', 'nuoto', 'natação', 'zwemmen', 'pływanie', 'simning', 'svømming',
                'svømning', 'plavání', 'yüzme', 'uinti', 'renang', 'плавание'],
            'inside': ['水泳', 'スイム', '수영', '游泳']
        }],
        ['row', {
            'words': ['row', 'rowing', 'paddle', 'paddling', 'paddleboarding', 'kayaking', 'canoe',
                'canoeing', 'rudern', 'kajak', 'kajakfahren', 'kanu', 'kanufahren', 'paddeln', 'aviron',
                'canoë', 'remo', 'piragüismo', 'canottaggio', 'canoa', 'canoagem', 'roeien',
                'kajakken', 'kanoën', 'wioślarstwo', 'wiosłowanie', 'kajaki', 'kajakarstwo', 'rodd',
                'kanot', 'roing', 'padling', 'kajakk', 'roning', 'veslování', 'гребля', 'байдарка',
                'каяк', 'каноэ'],
            'inside': ['ローイング', 'カヤック', 'カヌー', '카약', '카누', '划船', '赛艇', '賽艇', '皮划艇']
        }],
        ['hike', {
            'words': ['hike', 'hiking', 'trekking', 'snowshoe', 'snowshoeing', 'mountaineering',
                'wanderung', 'wandern', 'bergtour', 'bergsteigen', 'schneeschuhwandern', 'randonnée',
                'raquettes', 'alpinisme', 'senderismo', 'excursionismo', 'excursión', 'escursionismo',
                'escursione', 'ciaspolata', 'trilha', 'bergwandeling', 'wandeltocht', 'wędrówka',
                'wycieczka piesza', 'piesza wycieczka', 'vandring', 'fottur', 'vandretur', 'turistika',
                'doğa yürüyüşü', 'vaellus', 'mendaki', 'поход', 'хайкинг'],
            'inside': ['ハイキング', '登山', '하이킹', '등산', '徒步', '远足', '遠足', '健行']
        }],
        ['walk', {
            'words': ['walk', 'walking', 'wheelchair', 'spaziergang', 'gehen', 'walken', 'rollstuhl',
                'marche', 'promenade', 'caminata', 'caminar', 'paseo', 'camminata', 'passeggiata',
                'caminhada', 'wandelen', 'wandeling', 'spacer', 'marsz', 'promenad', 'gåtur',
                'spasertur', 'chůze', 'procházka', 'yürüyüş', 'kävely', 'jalan kaki', 'ходьба',
                'прогулка'],
            'inside': ['ウォーキング', '散歩', '걷기', '산책', '步行', '散步', '健走']
        }],
        ['run', {
            'words': ['run', 'running', 'treadmill', 'jog', 'jogging', 'lauf', 'laufen', 'laufband',
                'traillauf', 'trailrunning', 'joggen', 'course à pied', 'course en sentier', 'footing', 'carrera',
                'correr', 'corsa', 'corrida', 'hardlopen', 'trailrun', 'bieg', 'bieganie',
                'löpning', 'löppass', 'löptur', 'terränglöpning', 'løping', 'løpetur', 'terrengløping',
                'løb', 'løbetur', 'běh', 'koşu', 'juoksu', 'lari', 'бег', 'пробежка', 'забег', 'ラン'],
            'inside': ['ランニング', 'トレイルラン', 'バーチャルラン', 'ジョギング', '달리기', '러닝',
                '조깅', '跑步', '慢跑', '越野跑', '路跑']
        }],
        ['climb', {
            'words': ['climb', 'climbing', 'bouldering', 'klettern', 'bouldern', 'escalade', 'escalada',
                'arrampicata', 'klimmen', 'wspinaczka', 'klättring', 'klatring', 'lezení', 'tırmanış',
                'скалолазание'],
            'inside': ['クライミング', 'ボルダリング', '클라이밍', '攀岩']
        }],
        ['yoga', {
            'words': ['yoga', 'pilates', 'barre', 'flexibility', 'mind and body', 'joga', 'jóga',
                'ioga', 'йога', 'пилатес'],
            'inside': ['ヨガ', 'ピラティス', '요가', '필라테스', '瑜伽', '瑜珈', '普拉提']
        }],
        ['strength', {
            'words': ['strength', 'weight training', 'weighttraining', 'weights', 'weightlifting',
                'powerlifting', 'core', 'crossfit', 'krafttraining', 'gewichtheben', 'musculation',
                'renforcement musculaire', 'pesas', 'fuerza', 'pesi', 'musculação', 'pesos',
                'krachttraining', 'siłowy', 'siłownia', 'styrketräning', 'styrketrening',
                'styrketræning', 'posilování', 'ağırlık', 'силовая'],
            'inside': ['ウェイトトレーニング', '筋トレ', '웨이트', '근력', '力量训练', '重量訓練', '举重', '舉重']
        }],
        ['gym', {
            'words': ['elliptical', 'stepper', 'hiit', 'high intensity', 'cardio', 'aerobics',
                'training', 'workout', 'fitness', 'cross training', 'crosstraining', 'crosstrainer',
                'ellipsentrainer', 'elliptique', 'elíptica', 'elíptico', 'ellittica', 'orbitrek'],
            'inside': ['クロストレーナー', '엘립티컬', '일립티컬', '椭圆机', '橢圓機']
        }]
    ]) }}
{% endmacro %}


{% macro activity_kind(word) -%}
    {#- words that are written together, as in TrailRun and open_water, are taken apart -#}
    {%- set apart = "regexp_replace(" ~ word ~ ", '([a-z])([A-Z])', '\\1 \\2', 'g')" -%}
    {%- set plain = "trim(regexp_replace(lower(nfc_normalize(" ~ apart ~ ")), '[^\\p{L}\\p{M}]+', ' ', 'g'))"
    -%}
    case
        when {{ word }} is null or {{ plain }} in ('workout', 'other', 'generic', 'training')
            then null
        {%- for kind, names in activity_kinds() %}
        when regexp_matches({{ plain }}, '(^| )({{ names.words | join("|") }})( |$)
            {%- for each in names.get('inside', []) %}|{{ each }}{% endfor %}')
            then {{ "'" ~ kind ~ "'" if kind else 'null' }}
        {%- endfor %}
    end
{%- endmacro %}
