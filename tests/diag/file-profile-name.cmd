"$CNETC" files/two.cnet --profile=z=files/two.csv --emit=ir
