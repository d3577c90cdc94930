"$CNETC" run files/two.cnet --input files/cells.csv
