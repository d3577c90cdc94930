"$CNETC" --emit=ir files/sizes.nnet
