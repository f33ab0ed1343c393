{# The word that names the payee in a text of a statement, in lower case: the first one that is not
   about how it was paid; null when there is none. Names of shops come first, towns later. #}
{% macro payee_word(text) -%}
    list_filter(
        regexp_extract_all({{ text }}, '\p{L}{2,}'),
        lambda word: word not in (
            'pos', 'debit', 'credit', 'card', 'checkcard', 'purchase', 'payment', 'sale', 'visa',
            'mastercard', 'maestro', 'girocard', 'ach', 'atm', 'check', 'recurring', 'pending',
            'transaction', 'online', 'mobile', 'the', 'www', 'com', 'sq', 'tst', 'sp', 'pp',
            'paypal', 'ref', 'auth', 'authorized', 'withdrawal', 'deposit', 'transfer', 'date',
            'kartenzahlung', 'kaufumsatz', 'lastschrift', 'sepa', 'überweisung', 'gutschrift',
            'kauf', 'einkauf', 'dauerauftrag', 'achat', 'paiement', 'carte', 'cb', 'prlv',
            'virement', 'vir', 'compra', 'pago', 'tarjeta', 'recibo', 'pagamento', 'acquisto',
            'carta', 'betaling', 'betaalautomaat', 'usd', 'eur', 'gbp', 'chf'
        )
    )[1]
{%- endmacro %}


{# The words of a text without digits and signs, each between blanks. #}
{% macro letters_of(text) -%}
    ' ' || trim(regexp_replace({{ text }}, '[^\p{L}]+', ' ', 'g')) || ' '
{%- endmacro %}


{# Whether two texts can name one payee: the word that names it in one stands in the other, or one
   of them has none. `a` and `b` are relations with payee and letters. #}
{% macro may_be_one_payee(a, b) -%}
    (
        {{ a }}.payee is null
        or {{ b }}.payee is null
        or {{ a }}.payee = {{ b }}.payee
        or {{ stands_in(a ~ '.payee', b ~ '.letters') }}
        or {{ stands_in(b ~ '.payee', a ~ '.letters') }}
    )
{%- endmacro %}


{# A short word may stand by chance within another; a longer one is also found where the other text
   has it cut or joined: blue bottle, bluebottle. #}
{% macro stands_in(word, letters) -%}
    if(
        length({{ word }}) < 4,
        contains({{ letters }}, ' ' || {{ word }} || ' '),
        contains(replace({{ letters }}, ' ', ''), {{ word }})
    )
{%- endmacro %}


{# Whether a payment may be the earlier one with a tip: up to the half of it more. #}
{% macro with_a_tip(earlier, later) -%}
    {{ earlier }}.amount < 0 and {{ later }}.amount < {{ earlier }}.amount
    and {{ later }}.amount >= 1.5 * {{ earlier }}.amount
{%- endmacro %}


{# Whether two clusters `a` and `b` of different lists can be one: of different days only where one
   list covers the other's day and lacks it there; and never where the texts name two payees. #}
{% macro may_be_one_transaction() -%}
    b.account_id = a.account_id
        and b.currency = a.currency
        and b.amount = a.amount
        and b.posted_on between a.posted_on - 31 and a.posted_on + 31
        and not list_has_any(a.listings, b.listings)
        and (
            b.posted_on = a.posted_on
            or list_has_any(a.covering, b.listings)
            or list_has_any(b.covering, a.listings)
        )
        and {{ may_be_one_payee('a', 'b') }}
{%- endmacro %}
