module wtgram.test/echo

go 1.24
