"$CNETC" --emit=ir files/range.nnet
