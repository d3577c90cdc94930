"$CNETC" files/two.cnet --profile=files/cells.csv --emit=ir
