"$CNETC" run files/two.cnet --input files/two.cnet
