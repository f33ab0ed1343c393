"""Banks that nobody knows: the dialect that is printed reads the file right, or what it lacks is
asked for. The layouts are those of real banks, as public readers describe them; the rows are ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow, Item, Record
from personal_pipeline.ingest.recognition import unknown
from personal_pipeline.sources.bank import BANK, recognise_statement
from personal_pipeline.sources.bank.dialect import BadDeclaration, dialects_for, read_dialect
from personal_pipeline.sources.bank.explain import explain_csv
from personal_pipeline.sources.bank.statement_csv import read_csv

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Layout:
    """A file of a bank; ``rows`` are the days and amounts that are right, ``asks`` what only the
    person can say, and ``refused`` that no dialect can be written."""

    text: str
    rows: tuple[tuple[str, str], ...] = ()
    asks: tuple[str, ...] = ()
    refused: bool = False
    pending: int = 0
    currency: str | None = "EUR"
    accounts: int = 1
    encoding: str = "utf-8"


LAYOUTS: dict[str, Layout] = {
    "Sparkasse": Layout(
        '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";'
        '"Glaeubiger ID";"Beguenstigter/Zahlungspflichtiger";"Kontonummer/IBAN";'
        '"BIC (SWIFT-Code)";"Betrag";"Waehrung";"Info"\n'
        '"DE01";"30.03.26";"31.03.26";"LASTSCHRIFT";"Tee; Kaffee";"";"Laden";"DE77";"";"-1143,41";'
        '"EUR";"Umsatz gebucht"\n'
        '"DE01";"28.03.26";"28.03.26";"GUTSCHRIFT";"Lohn";"";"Chefin";"DE78";"";"2000";"EUR";'
        '"Umsatz gebucht"\n'
        '"DE01";"31.03.26";"";"KARTE";"Bäcker";"";"Bäcker";"DE79";"";"-3,5";"EUR";'
        '"Umsatz vorgemerkt"\n',
        (("2026-03-30", "-1143.41"), ("2026-03-28", "2000"), ("2026-03-31", "-3.5")),
        pending=1,
        encoding="iso8859_15",
    ),
    "DKB": Layout(
        '"Girokonto";"DE02"\n"Kontostand vom 31.03.2026:";"1.234,56\u00a0€"\n""\n'
        '"Buchungsdatum";"Wertstellung";"Status";"Zahlungspflichtige*r";"Zahlungsempfänger*in";'
        '"Verwendungszweck";"Umsatztyp";"IBAN";"Betrag (€)";"Gläubiger-ID"\n'
        '"31.03.26";"";"Vorgemerkt";"ICH";"Laden";"Tee";"Ausgang";"DE1";"-5";""\n'
        '"30.03.26";"30.03.26";"Gebucht";"ICH";"Laden";"Sofa";"Ausgang";"DE2";"-12.345";""\n'
        '"29.03.26";"29.03.26";"Gebucht";"Chefin";"ICH";"Lohn";"Eingang";"DE3";"62,3";""\n',
        (("2026-03-31", "-5"), ("2026-03-30", "-12345"), ("2026-03-29", "62.3")),
        pending=1,
    ),
    "DKB before 2023": Layout(
        '"Kontonummer:";"DE03 / Girokonto";\n\n'
        '"Buchungstag";"Wertstellung";"Buchungstext";"Auftraggeber / Begünstigter";'
        '"Verwendungszweck";"Kontonummer";"BLZ";"Betrag (EUR)";"Gläubiger-ID";\n'
        '"30.03.2022";"30.03.2022";"Lastschrift";"Laden";"Tee";"DE11";"BYL";"-4,20";"";\n'
        '"29.03.2022";"29.03.2022";"Gutschrift";"Chefin";"Lohn";"DE12";"BYL";"1.000,00";"";\n'
        '"28.03.2022";"28.03.2022";"Lastschrift";"Laden";"Brot";"DE11";"BYL";"-2,00";"";\n',
        (("2022-03-28", "-2"), ("2022-03-30", "-4.2"), ("2022-03-29", "1000")),
        encoding="cp1252",
    ),
    "comdirect": Layout(
        ';\n"Umsätze Girokonto";"Zeitraum: 30 Tage";\n"Neuer Kontostand";"97,93 EUR";\n\n'
        '"Buchungstag";"Wertstellung (Valuta)";"Vorgang";"Buchungstext";"Umsatz in EUR";\n'
        '"30.03.2026";"30.03.2026";"Lastschrift";"Empfänger: Laden Ref. A1";"-12,07";\n'
        '"27.03.2026";"27.03.2026";"Übertrag";"Auftraggeber: Chefin Ref. A2";"100,00";\n'
        '"26.03.2026";"26.03.2026";"Lastschrift";"Empfänger: Laden Ref. A3";"-2,00";\n'
        '"Alter Kontostand";"9,93 EUR";\n',
        (("2026-03-26", "-2"), ("2026-03-30", "-12.07"), ("2026-03-27", "100")),
        encoding="cp1252",
    ),
    "comdirect with two tables": Layout(
        '"Umsätze Girokonto";"Zeitraum: 30 Tage";\n'
        '"Buchungstag";"Wertstellung (Valuta)";"Vorgang";"Buchungstext";"Umsatz in EUR";\n'
        '"30.03.2026";"30.03.2026";"Lastschrift";"Laden";"-12,07";\n'
        '"Umsätze Tagesgeld";"Zeitraum: 30 Tage";\n'
        '"Buchungstag";"Wertstellung (Valuta)";"Vorgang";"Buchungstext";"Umsatz in EUR";\n'
        '"27.03.2026";"27.03.2026";"Übertrag";"Ich";"100,00";\n',
        refused=True,
    ),
    "Commerzbank": Layout(
        "Buchungstag;Wertstellung;Umsatzart;Buchungstext;Betrag;Währung;IBAN Kontoinhaber;"
        "Kategorie\n"
        "30.03.2026;30.03.2026;Lastschrift;Laden Kartenzahlung;-9,9;EUR;DE04;Einkauf\n"
        "25.03.2026;25.03.2026;Gutschrift;Chefin;3000;EUR;DE04;Lohn\n"
        "24.03.2026;24.03.2026;Lastschrift;Laden;-2;EUR;DE04;Einkauf\n",
        (("2026-03-24", "-2"), ("2026-03-30", "-9.9"), ("2026-03-25", "3000")),
    ),
    "Commerzbank card": Layout(
        "Buchungstag;Umsatz;Buchungstext;Betrag;Währung;Betrag Ursprung;Währung Ursprung;"
        "Belastete Kreditkarte;Kategorie\n"
        "30.03.2026;29.03.2026;SHOP US;-9,20;EUR;-10,00;USD;4111XXXX1111;Einkauf\n"
        "27.03.2026;26.03.2026;LADEN;-5,00;EUR;-5,00;EUR;4111XXXX1111;Einkauf\n",
        (("2026-03-30", "-9.2"), ("2026-03-27", "-5")),
    ),
    "Postbank": Layout(
        "Umsätze\nKonto;Filial-/Kontonummer;IBAN;Währung\nGiro;100 1;DE05;EUR\n\n"
        "Buchungstag;Wert;Umsatzart;Begünstigter / Auftraggeber;Verwendungszweck;"
        "IBAN / Kontonummer;BIC;Betrag;Soll;Haben;Währung\n"
        "1.8.2026;3.8.2026;Lastschrift;Laden;Tee;DE1;B1;;-4,00;;EUR\n"
        "31.7.2026;31.7.2026;Gutschrift;Chefin;Lohn;DE2;B2;;;2.000,00;EUR\n",
        (("2026-08-01", "-4"), ("2026-07-31", "2000")),
    ),
    "ING": Layout(
        "IBAN;DE06\nSaldo;95,00;EUR\n\n"
        "Buchung;Wertstellungsdatum;Auftraggeber/Empfänger;Buchungstext;Verwendungszweck;Saldo;"
        "Währung;Betrag;Währung\n"
        "14.03.2026;14.03.2026;Ann;Gutschrift;Miete;1.195,00;EUR;1.100,00;EUR\n"
        "13.03.2026;13.03.2026;Laden;Lastschrift;Tee;95,00;EUR;-5,00;EUR\n",
        (("2026-03-14", "1100"), ("2026-03-13", "-5")),
        encoding="cp1252",
    ),
    "N26": Layout(
        '"Booking Date","Value Date","Partner Name","Partner Iban",Type,"Payment Reference",'
        '"Account Name","Amount (EUR)","Original Amount","Original Currency","Exchange Rate"\n'
        "2026-03-01,2026-03-01,Shop,,Presentment,,Main,-9.2,-10.0,USD,0.92\n"
        "2026-03-02,,Ann,DE1,Credit Transfer,Rent,Main,500.0,,,\n"
        "2026-03-03,2026-03-03,Shop,,Presentment,,Main,-2.0,-2.0,EUR,\n",
        (("2026-03-03", "-2"), ("2026-03-01", "-9.2"), ("2026-03-02", "500")),
    ),
    "Volksbank": Layout(
        "Bezeichnung Auftragskonto;IBAN Auftragskonto;Buchungstag;Valutadatum;"
        "Name Zahlungsbeteiligter;IBAN Zahlungsbeteiligter;Buchungstext;Verwendungszweck;Betrag;"
        "Waehrung;Saldo nach Buchung;Gekennzeichneter Umsatz\n"
        "Giro;DE07000000001;14.03.2026;14.03.2026;Ann;DE1;Gutschrift;Miete;1.100,00;EUR;1.195,00;\n"
        "Giro;DE07000000001;13.03.2026;13.03.2026;Laden;DE2;Basislastschrift;Tee;-5,00;EUR;95,00;\n",
        (("2026-03-14", "1100"), ("2026-03-13", "-5")),
        encoding="utf-8-sig",
    ),
    "ING Netherlands": Layout(
        '"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";'
        '"Mutatiesoort";"Mededelingen";"Saldo na mutatie";"Tag"\n'
        '"20260902";"WINKEL";"NL01INGB0001";"NL02";"BA";"Af";"12,50";"Betaalautomaat";"Thee";'
        '"87,50";""\n'
        '"20260901";"ANN";"NL01INGB0001";"NL03";"GT";"Bij";"50,00";"Online";"Huur";"100,00";""\n',
        (("2026-09-02", "-12.5"), ("2026-09-01", "50")),
    ),
    "Rabobank": Layout(
        '"IBAN/BBAN","Munt","BIC","Volgnr","Datum","Rentedatum","Bedrag","Saldo na trn",'
        '"Tegenrekening IBAN/BBAN","Naam tegenpartij","Omschrijving-1","Omschrijving-2",'
        '"Oorspr bedrag","Oorspr munt"\n'
        '"NL04RABO0002","EUR","RABO","000000000000000101","2026-09-01","2026-09-01","+50,00",'
        '"+150,00","NL1","Ann","Huur"," ","",""\n'
        '"NL04RABO0002","EUR","RABO","000000000000000102","2026-09-02","2026-09-02","-12,34",'
        '"+137,66","NL2","Winkel","Thee"," ","",""\n',
        (("2026-09-01", "50"), ("2026-09-02", "-12.34")),
        encoding="iso8859_1",
    ),
    "bunq": Layout(
        '"Date","Interest Date","Amount","Account","Counterparty","Name","Description"\n'
        '"2026-03-01","2026-03-01","-1.034,75","NL05BUNQ0003","NL1","Winkel","Bank"\n'
        '"2026-03-02","2026-03-02","24,99","NL05BUNQ0003","NL2","Ann","Terug"\n'
        '"2026-03-03","2026-03-03","-2,00","NL05BUNQ0003","NL1","Winkel","Thee"\n',
        (("2026-03-03", "-2"), ("2026-03-01", "-1034.75"), ("2026-03-02", "24.99")),
        currency=None,
    ),
    "KBC": Layout(
        "Rekeningnummer;Rubrieknaam;Naam;Munt;Afschriftnummer;Datum;Omschrijving;Valuta;Bedrag;"
        "Saldo;credit;debet;rekeningnummer tegenpartij;Naam tegenpartij\n"
        "BE01 0004 ;Zicht;ANN;EUR; 01;26/03/2026;BETALING;26/03/2026;-3,40;96,60;;-3,40;;WINKEL\n"
        "BE01 0004 ;Zicht;ANN;EUR; 01;27/03/2026;STORTING;27/03/2026;10,00;106,60;10,00;;BE9;BOB\n",
        (("2026-03-26", "-3.4"), ("2026-03-27", "10")),
    ),
    "UBS": Layout(
        "Kontonummer:;0000 00001;\nIBAN:;CH01;\nBewertet in:;CHF;\n\n"
        "Abschlussdatum;Abschlusszeit;Buchungsdatum;Valutadatum;Währung;Belastung;Gutschrift;"
        "Einzelbetrag;Saldo;Transaktions-Nr.;Beschreibung1;Beschreibung2;Beschreibung3;Fussnoten;\n"
        '2026-03-02;;2026-03-02;2026-03-02;CHF;"-1\'200.00";;;"3\'800.00";9912;Laden;Kauf;;;\n'
        "2026-03-01;;2026-03-01;2026-03-01;CHF;;5000.00;;5000.00;9911;Chefin;Lohn;;;\n",
        (("2026-03-02", "-1200"), ("2026-03-01", "5000")),
        currency="CHF",
        encoding="utf-8-sig",
    ),
    "PostFinance": Layout(
        'Datum von:;="01.03.2026"\nKonto:;="CH02"\nWährung:;="CHF"\n\n'
        "Datum;Bewegungstyp;Avisierungstext;Gutschrift in CHF;Lastschrift in CHF;Label;Kategorie\n"
        "\n13.03.2026;Buchung;KAUF LADEN;;-33.8;;Einkauf\n"
        "12.03.2026;Gutschrift;CHEFIN;6850;;;Lohn\n"
        "\nDisclaimer:\nDer Dokumentinhalt wurde generiert.\n",
        (("2026-03-13", "-33.8"), ("2026-03-12", "6850")),
        currency="CHF",
    ),
    "Starling": Layout(
        "Date,Counter Party,Reference,Type,Amount (GBP),Balance (GBP),Spending Category\n"
        "03/02/2026,Shop,TEA,CARD,-4.20,95.80,EATING\n"
        "04/02/2026,Ann,RENT,FASTER PAYMENT,500.00,595.80,INCOME\n",
        (("2026-02-03", "-4.2"), ("2026-02-04", "500")),
        currency="GBP",
    ),
    "Lloyds": Layout(
        "Transaction Date,Transaction Type,Sort Code,Account Number,Transaction Description,"
        "Debit Amount,Credit Amount,Balance,\n"
        "14/03/2026,FPO,'30-00-00,12345678,ANN,8,,87.00,\n"
        "13/03/2026,DEB,'30-00-00,12345678,SHOP,5.00,,95.00,\n",
        (("2026-03-14", "-8"), ("2026-03-13", "-5")),
        currency=None,
    ),
    "Lloyds card": Layout(
        "Date,Date entered,Reference,Description,Amount,\n"
        "14/03/2026,15/03/2026,12345,SHOP,8.50,\n13/03/2026,13/03/2026,12346,TEA,5.00,\n"
        "12/03/2026,12/03/2026,12347,PAYMENT RECEIVED,-100.00,\n",
        asks=("sign",),
    ),
    "Barclays": Layout(
        "Number,Date,Account,Amount,Subcategory,Memo\n"
        ",23/03/2026,20-00-00 12345678,-9.99,PAYMENT,FILMS    ON 22 MAR    BCC\n"
        ",20/03/2026,20-00-00 12345678,-20.00,CASH,MACHINE\n"
        ",16/03/2026,20-00-00 12345678,30.00,FT,ANN\n",
        (("2026-03-23", "-9.99"), ("2026-03-20", "-20"), ("2026-03-16", "30")),
        currency=None,
    ),
    "first direct": Layout(
        "Date,Description,Amount,Balance\n13/03/2026,TEA@12:34,-3.50,96.50\n"
        "14/03/2026,ANN,100.00,196.50\n",
        (("2026-03-13", "-3.5"), ("2026-03-14", "100")),
        currency=None,
    ),
    "Nationwide": Layout(
        '"Account Name:","FlexAccount ****12345"\n"Account Balance:","£1234.56"\n\n'
        '"Date","Transaction type","Description","Paid out","Paid in","Balance"\n'
        '"15 Jan 2026","Visa purchase","SHOP","£50.00","","£1,184.56"\n'
        '"16 Jan 2026","Transfer","ANN","","£1,000.00","£2,184.56"\n',
        (("2026-01-15", "-50"), ("2026-01-16", "1000")),
        currency="GBP",
        encoding="cp1252",
    ),
    "NatWest": Layout(
        "Date, Type, Description, Value, Balance, Account Name, Account Number\n\n"
        "01 Mar 2026,POS,'SHOP,-5.00,95.00,'ANN,'600000-12345678,\n"
        "28 Feb 2026,BAC,'CHEF,60.00,100.00,'ANN,'600000-12345678,\n",
        (("2026-03-01", "-5"), ("2026-02-28", "60")),
        currency=None,
    ),
    "Monzo before 2019": Layout(
        "id,created,amount,currency,local_amount,local_currency,category,emoji,description,notes\n"
        "tx_01,2018-02-25 12:34:56 +0000,-10,GBP,-11.3,EUR,eating_out,,CAFE,\n"
        "tx_02,2018-02-26 12:34:56 +0000,50,GBP,50,GBP,general,,ANN,\n",
        (("2018-02-25", "-10"), ("2018-02-26", "50")),
        currency="GBP",
    ),
    "Revolut": Layout(
        "Type,Product,Started Date,Completed Date,Description,Amount,Fee,Currency,State,Balance\n"
        "CARD_PAYMENT,Current,2026-03-01 10:00:00,2026-03-02 11:00:00,Shop,-5.00,0.00,EUR,"
        "COMPLETED,95.00\n"
        "TRANSFER,Current,2026-03-03 10:00:00,2026-03-03 11:00:00,To Ann,-10.00,1.00,EUR,"
        "COMPLETED,84.00\n"
        "CARD_PAYMENT,Current,2026-03-04 10:00:00,,Cafe,-3.00,0.00,EUR,PENDING,\n"
        "CARD_PAYMENT,Current,2026-03-05 10:00:00,,Hotel,-300.00,0.00,EUR,REVERTED,\n"
        "TOPUP,Savings,2026-03-06 10:00:00,2026-03-06 10:00:00,Spare,7.00,0.00,EUR,COMPLETED,"
        "7.00\n",
        (
            *(("2026-03-02", "-5"), ("2026-03-03", "-11"), ("2026-03-04", "-3")),
            ("2026-03-06", "7"),
        ),
        pending=1,
        accounts=2,
    ),
    "Wise statement": Layout(
        "TransferWise ID,Date,Date Time,Amount,Currency,Description,Payment Reference,"
        "Running Balance,Exchange From,Exchange To,Exchange Rate,Payer Name,Payee Name,Merchant,"
        "Note,Total fees,Exchange To Amount\n"
        "CARD-1,17-03-2026,17-03-2026 10:11:12.123,-9.20,EUR,Card transaction of 10.00 USD,,90.80,"
        "EUR,USD,1.08,,,Shop,,0.06,10.00\n"
        "TRANSFER-2,16-03-2026,16-03-2026 10:00:00.000,100.00,EUR,Received money,RENT,100.00,,,,"
        "Ann,,,,0.00,\n",
        (("2026-03-17", "-9.2"), ("2026-03-16", "100")),
    ),
    "RBC": Layout(
        '"Account Type","Account Number","Transaction Date","Cheque Number","Description 1",'
        '"Description 2","CAD$","USD$"\n'
        "Chequing,00001-1234567,3/14/2026,,SHOP,,-5.25,,\n"
        "Visa,4500000000001111,3/15/2026,,TEA,,-3.00,,\n"
        "Chequing,00001-1234567,3/16/2026,,PAY,,900.00,,\n",
        (("2026-03-14", "-5.25"), ("2026-03-15", "-3"), ("2026-03-16", "900")),
        currency="CAD",
        accounts=2,
    ),
    "RBC with dollars of both": Layout(
        '"Account Type","Account Number","Transaction Date","Description 1","CAD$","USD$"\n'
        "Chequing,00001-1234567,3/14/2026,SHOP,-5.25,\nUS,00001-7654321,3/15/2026,TEA,,-3.00\n",
        refused=True,
    ),
    "TD, without a header": Layout(
        "03/14/2026,SHOP,5.25,,994.75\n03/13/2026,PAY,,900.00,1000.00\n", refused=True
    ),
    "withdrawals only": Layout(
        "Transaction date,Description,Withdrawals,Deposits\n18/04/2026,GROCERY,6.66,\n"
        "19/04/2026,ATM,50.00,\n",
        (("2026-04-18", "-6.66"), ("2026-04-19", "-50")),
        currency=None,
    ),
    "a card that counts what is spent": Layout(
        "Date;Text;Amount;Balance\n2026-03-01;SHOP;10.00;10.00\n2026-03-02;TEA;2.00;12.00\n"
        "2026-03-03;PAID;-12.00;0.00\n",
        asks=("sign",),
    ),
    "days and months alike": Layout(
        "Date,Payee,Amount\n10/02/2026,SHOP,-5.00\n11/02/2026,SHOP,-6.00\n", asks=("date_format",)
    ),
    "thousands or not": Layout(
        "Date;Payee;Amount\n2026-02-10;SHOP;-5.000\n2026-02-11;SHOP;-6.500\n", asks=("decimal",)
    ),
    "a status of other words": Layout(
        "Date;Payee;Amount;Status\n2026-02-10;SHOP;-5.00;Zzz\n2026-02-11;SHOP;-6.50;Yyy\n"
        "2026-02-12;SHOP;-6.50;Yyy\n",
        asks=("pending",),
    ),
    "no text at all": Layout(
        "Datum;Betrag EUR;Saldo\n10.02.2026;-5,00;10,00\n11.02.2026;-6,50;3,50\n",
        (("2026-02-10", "-5"), ("2026-02-11", "-6.5")),
    ),
    "DKB Visa": Layout(
        '"Karte";"Visa Kreditkarte";"4930 •••• •••• 1234"\n"Saldo vom 31.03.2026:";"-0 EUR"\n""\n'
        '"Belegdatum";"Wertstellung";"Status";"Beschreibung";"Umsatztyp";"Betrag (€)";'
        '"Fremdwährungsbetrag"\n'
        '"30.03.26";"31.03.26";"Gebucht";"LADEN";"Im Geschäft";"-12,3";""\n'
        '"29.03.26";"";"Vorgemerkt";"LADEN";"Onlinezahlung";"-5";"-5,40 USD"\n'
        '"28.03.26";"28.03.26";"Gebucht";"Ausgleich Kreditkarte";"Lastschrift";"100";""\n',
        (("2026-03-30", "-12.3"), ("2026-03-29", "-5"), ("2026-03-28", "100")),
        pending=1,
    ),
    "UBS card": Layout(
        "sep=;\nAccount number;Card number;Account/Cardholder;Purchase date;Booking text;Sector;"
        "Amount;Original currency;Rate;Currency;Debit;Credit;Booked\n"
        "0001 0002;4111 XXXX;ANN;13.03.2026;SHOP;Food;10.00;USD;0.9;CHF;9.00;;15.03.2026\n"
        "0001 0002;4111 XXXX;ANN;14.03.2026;PAID;;100.00;CHF;;CHF;;100.00;16.03.2026\n",
        (("2026-03-15", "-9"), ("2026-03-16", "100")),
        currency="CHF",
    ),
    "KBC card": Layout(
        "kredietkaart;kaarthouder;uitgavenstaat;datum verrichting;Datum verrekening;bedrag;credit;"
        "debet;munt;koers;bedrag in EUR;Handelaar;locatie;land\n"
        "1234;ANN;001;01/03/2026;13/03/2026;-10,00;;-10,00;USD;1,08;-9,26;SHOP;X;US\n"
        "1234;ANN;001;14/03/2026;15/03/2026;-2,00;;-2,00;EUR;;-2,00;WINKEL;Y;BE\n",
        (("2026-03-13", "-9.26"), ("2026-03-15", "-2")),
    ),
    "Volksbank of old": Layout(
        "Buchungstag;Valuta;Empfänger;Vorgang/Verwendungszweck;Währung;Umsatz; \n"
        "13.03.2019;13.03.2019;Laden;Tee;EUR;12,50;S\n12.03.2019;12.03.2019;Chefin;Lohn;EUR;"
        "1.000,00;H\n",
        (("2019-03-13", "-12.5"), ("2019-03-12", "1000")),
        encoding="cp1252",
    ),
    "PayPal in German": Layout(
        '"Datum","Uhrzeit","Zeitzone","Name","Typ","Status","Währung","Brutto","Gebühr","Netto",'
        '"Transaktionscode","Guthaben","Auswirkung auf Guthaben"\n'
        '"13.03.2026","10:00:00","MEZ","Laden","Zahlung","Abgeschlossen","EUR","-10,00","0,00",'
        '"-10,00","TX1A","-10,00","Soll"\n'
        '"13.03.2026","10:00:00","MEZ","","Bankgutschrift","Abgeschlossen","EUR","10,00","0,00",'
        '"10,00","TX2A","0,00","Haben"\n'
        '"14.03.2026","10:00:00","MEZ","Kunde","Zahlung","Ausstehend","EUR","20,00","-1,00",'
        '"19,00","TX3A","0,00","Memo"\n',
        (("2026-03-13", "-10"), ("2026-03-13", "10")),
    ),
    "Indian": Layout(
        "Date,Narration,Chq./Ref.No.,Value Dt,Withdrawal Amt.,Deposit Amt.,Closing Balance\n"
        '13/03/26,UPI,0000123,13/03/26,"1,250.00",,"98,750.00"\n'
        '14/03/26,SALARY,0000124,14/03/26,,"1,25,000.00","2,23,750.00"\n',
        (("2026-03-13", "-1250"), ("2026-03-14", "125000")),
        currency=None,
    ),
    "Japanese": Layout(
        '日付,摘要,お支払金額,お預り金額,残高\n2026/03/02,家賃,"80,000",,"170,000"\n'
        '2026/03/01,給料,,"250,000","250,000"\n',
        asks=("decimal",),
        encoding="cp932",
    ),
    "Swedish": Layout(
        "Bokföringsdag;Belopp;Avsändare;Mottagare;Rubrik;Saldo;Valuta\n"
        "2026/03/02;-1 250,00;1;2;HYRA;8 750,00;SEK\n2026/03/01;10 000,00;;1;LÖN;10 000,00;SEK\n",
        (("2026-03-02", "-1250"), ("2026-03-01", "10000")),
        currency="SEK",
    ),
    "HSBC, without a header": Layout(
        '01/03/2026,TEA,-3.50,96.50\n02/03/2026,PAY,"1,000.00","1,096.50"\n', refused=True
    ),
    "Polish": Layout(
        "Data księgowania;Opis operacji;Kwota;Waluta;Saldo po operacji\n"
        "2026-03-02;Żółw w Łodzi;-12,50;PLN;87,50\n2026-03-03;Wypłata;1 000,00;PLN;1 087,50\n",
        (("2026-03-02", "-12.5"), ("2026-03-03", "1000")),
        currency="PLN",
        encoding="cp1250",
    ),
}


def dropped(home: Home, content: bytes, name: str = "unknown.csv") -> DropFile:
    path = home.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return DropFile(path, path.name, NOW, home.root)


def save(home: Home, dialect: str) -> Path:
    home.dialects.mkdir(exist_ok=True)
    path = home.dialects / "my_bank.yaml"
    path.write_text(dialect, encoding="utf-8")
    return path


def records(items: list[Item], stream: str = "transactions") -> list[Record]:
    rows = [item for item in items if isinstance(item, DropRow)]
    return [row.record for row in rows if row.stream == stream]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gets_a_dialect_that_reads_it_right_or_a_question(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from personal_pipeline.sources.bank import dialect

    # as if we knew no bank
    monkeypatch.setattr(dialect, "our_dialects", lambda: ())
    layout = LAYOUTS[name]
    file = dropped(home, layout.text.encode(layout.encoding))
    assert recognise_statement(file) is None
    explained = explain_csv(file)
    assert explained is not None
    assert (explained.dialect == "") == layout.refused
    if layout.refused:
        assert "A dialect cannot describe it:" in str(explained)
        return
    path = save(home, explained.dialect)
    assert set(explained.questions) == set(layout.asks), str(explained)
    if layout.asks:
        # what is not answered cannot be taken for an answer
        with pytest.raises(BadDeclaration, match=rf"my_bank\.yaml, line \d+: {layout.asks[0]}"):
            read_dialect(path)
        return
    assert recognise_statement(file) is not None
    found = list(read_csv(file))
    read = records(found)
    assert sorted((each["posted_on"], each["amount"]) for each in read) == sorted(layout.rows)
    assert sum(each["pending"] for each in read) == layout.pending
    assert {each["currency"] for each in read} == {layout.currency}
    assert len(records(found, "accounts")) == layout.accounts
    assert f"{len(layout.rows)} read" in explained.checked
    if any("balance" in each for each in explained.columns):
        assert "the balance agrees" in explained.checked


def test_there_are_layouts_enough() -> None:
    assert sum(bool(layout.rows) for layout in LAYOUTS.values()) >= 25


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("withdrawals_only", [("2024-04-18", "-6.66"), ("2024-04-19", "-50")]),
        ("account_number_as_amount", [("2024-03-13", "-5"), ("2024-03-14", "-10")]),
        ("header_digit", [("2024-03-01", "-337.49"), ("2024-03-02", "12")]),
        ("same_name_twice", [("2024-03-13", "-5"), ("2024-03-14", "-6")]),
        ("ing_de_same_header_twice", [("2024-03-13", "-5"), ("2024-03-14", "1100")]),
        ("pending_reverted", [("2024-03-02", "-5"), ("2024-03-03", "-11"), ("2024-03-04", "-3")]),
        ("two_accounts", [("2024-03-13", "-50"), ("2024-03-13", "50")]),
        ("foreign_currency", [("2024-03-01", "-9.2"), ("2024-03-02", "-5")]),
        ("uk_dates", None),
    ],
)
def test_what_was_explained_wrongly(
    home: Home, faults: Path, name: str, expected: list[tuple[str, str]] | None
) -> None:
    file = dropped(home, (faults / f"explain_{name}.csv").read_bytes())
    explained = explain_csv(file)
    assert explained is not None
    path = save(home, explained.dialect)
    if expected is None:
        assert list(explained.questions) == ["date_format"]
        assert '"%m/%d/%Y" or "%d/%m/%Y"?' in str(explained)
        with pytest.raises(BadDeclaration, match="date_format"):
            read_dialect(path)
        return
    read_dialect(path)
    found = list(read_csv(file))
    read = records(found)
    assert sorted((each["posted_on"], each["amount"]) for each in read) == expected
    assert sum(each["pending"] for each in read) == (name == "pending_reverted")
    assert len(records(found, "accounts")) == (2 if name == "two_accounts" else 1)
    if name == "foreign_currency":
        assert {each["currency"] for each in read} == {"EUR"}


def test_what_is_tried_is_told(home: Home) -> None:
    file = dropped(home, LAYOUTS["Revolut"].text.encode())
    told = str(explain_csv(file))
    assert (
        "Tried on the file: of 5 rows 4 read, 1 of them pending, 1 left out; money out 16.00, "
        "money in 7.00 EUR; the balance agrees."
    ) in told
    assert "Cafe" not in told


def test_a_balance_that_contradicts_is_told(home: Home) -> None:
    content = "Date;Text;Amount;Balance\n2026-03-01;A;-1.00;99\n2026-03-02;B;-2.00;50\n"
    told = str(explain_csv(dropped(home, content.encode())))
    assert "the balance agrees in 0 of 1 steps only" in told


def test_a_dialect_of_the_person_that_cannot_be_used_is_said(home: Home) -> None:
    """Also where no dialect knows the file: that may be why."""
    save(home, "name: my_bank\ntitle: My Bank\nheader: [Tag, Betrag]\ndate_format: nothing\n")
    for content in (LAYOUTS["DKB"].text.encode(), b"no table at all"):
        told = unknown([BANK], dropped(home, content)).splitlines()[0]
        assert "dialects/my_bank.yaml, line 4: date_format.0: expected a year" in told
    assert len(dialects_for(home.root)[1]) == 1


def test_a_wide_table_of_words_is_no_bank_s_in_a_moment(home: Home) -> None:
    row = ",".join(f"word{n} b" for n in range(30)) + "\n"
    file = dropped(home, (row * 1_000).encode())
    begun = time.perf_counter()
    assert explain_csv(file) is None
    assert time.perf_counter() - begun < 2
