"$CNETC" files/two.cnet --profile=files/nothing-here.npy --emit=ir
