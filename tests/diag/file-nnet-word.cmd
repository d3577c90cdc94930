"$CNETC" --emit=ir files/word.nnet
