"$CNETC" run files/two.cnet --input files/records.npy
