"$CNETC" files/pair.cnet --profile=x=files/two.csv --profile=z=files/three.csv --profile=x=files/three.csv --emit=ir
