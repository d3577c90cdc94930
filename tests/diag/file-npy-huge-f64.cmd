"$CNETC" run files/two.cnet --input files/huge-f64.npy
