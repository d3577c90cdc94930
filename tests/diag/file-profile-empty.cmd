"$CNETC" files/two.cnet --profile=files/empty.csv --emit=ir
