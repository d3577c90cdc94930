"$CNETC" run files/two.cnet --input=files/two.csv --profile=files/two.cnet
