"$CNETC" files/pair.cnet --profile=files/two.csv --emit=ir
