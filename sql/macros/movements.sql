{# What the words of a statement say of a line, in lower case. Each is a hint and never enough by
   itself; marts.transactions says which of them must come together. #}

{# Money that moves between accounts. #}
{% macro says_transfer(text) -%}
    regexp_matches(
        {{ text }},
        '\b(transfers?|xfer|trnsfr|tfr|trf|moneylink|cash ?out|virement interne|giroconto'
        || '|traspaso)\b|umbuchung|übertrag'
    )
{%- endmacro %}


{# A bill that is paid, of a card above all. #}
{% macro says_payment(text) -%}
    regexp_matches(
        {{ text }},
        '\b(payments?|pymts?|pmts?|autopay|auto ?pay|e-?pay(ment)?|directpay|thank you|thankyou'
        || '|kreditkarten\w*|paiement|pago|pagamento|betaling)\b'
    )
{%- endmacro %}


{# What a shop gives back to a card. #}
{% macro says_given_back(text) -%}
    regexp_matches(
        {{ text }},
        '\b(credits?|crédits?|crédito|kredit|gutschrift|avoir|abono|accredito|returns?|returned'
        || '|refund\w*)\b'
    )
{%- endmacro %}


{# Money that somebody else gives or gives back, or takes. #}
{% macro says_stranger(text) -%}
    regexp_matches(
        {{ text }},
        '\b(refund\w*|returns?|returned|reversal|chargeback|cash ?back|rewards?|payroll|salary|wages?'
        || '|pension|dividends?|interest|fees?|gehalt|lohn\w*|rente|zinsen|entgelt|gutschein'
        || '|remboursement|salaire|reembolso|nomina|rimborso|stipendio|terugbetaling|salaris)\b'
        || '|erstattung|rückzahlung|nómina|devolución|intérêts|gebühr'
    )
{%- endmacro %}


{# Shares and funds that are bought or sold. #}
{% macro says_trade(text) -%}
    regexp_matches(
        {{ text }},
        '\b(buy|bought|sell|sold|purchased?|redemption|redeemed|reinvest\w*|kauf|verkauf|achat|vente'
        || '|compra|venta|acquisto|vendita|aankoop|verkoop)\b'
    )
{%- endmacro %}


{# What shares and funds bring or cost while they are held. #}
{% macro says_yield(text) -%}
    regexp_matches(
        {{ text }},
        '\b(dividends?|div|interest|int|fees?|tax|income|invexpense|margininterest|dividende\w*|zinsen'
        || '|ertrag\w*|dividendo|cedola|rente)\b'
    )
{%- endmacro %}


{# Whether a line names the bank of the account on the other side. Within one bank the name says
   nothing. Both are relations with text and bank. #}
{% macro names_bank_of(a, b) -%}
    coalesce(
        {{ b }}.bank <> coalesce({{ a }}.bank, '')
        and length({{ b }}.bank) >= 3
        and contains(
            ' ' || regexp_replace({{ a }}.text, '[^\p{L}\d]+', ' ', 'g') || ' ',
            ' ' || regexp_replace({{ b }}.bank, '[^\p{L}\d]+', ' ', 'g') || ' '
        ),
        false
    )
{%- endmacro %}
