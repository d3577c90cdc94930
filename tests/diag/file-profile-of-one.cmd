"$CNETC" files/pair.cnet --profile=x=files/two.csv --emit=ir
