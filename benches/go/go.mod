module example.com/wtgram/benches

go 1.24

require example.com/wtgram v0.0.0

replace example.com/wtgram => ../../bindings/go
