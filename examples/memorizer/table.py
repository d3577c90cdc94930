#!/usr/bin/env python3
"""Prints categories.csv: where, in the order of all code points, the general category changes.

    python3 table.py >categories.csv

The facts are the Unicode Character Database's, as Python's module unicodedata has them (Python 3.11: version 14.0.0). A category is written
as its place in CATEGORIES; main.c has the same list.
"""
import sys
import unicodedata

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()


def runs():
    """(first, category) of each run of code points of one category."""
    last = None
    for point in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(point))
        if category != last:
            yield point, CATEGORIES.index(category)
        last = category


if __name__ == "__main__":
    print("# Unicode %s, general categories 0 ... 29: %s" % (unicodedata.unidata_version, " ".join(CATEGORIES)))
    print("first,category")
    for row in runs():
        print("%d,%d" % row)
