"$CNETC" run files/two.cnet --input files/columns.npy
