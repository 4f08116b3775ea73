#!/bin/sh
# A small PKI by openssl 3, for other people's tools to sign with. Arguments: the folder to make.
# Everything is valid from 2026-11-01 to 2056; names are made up (region 999999 belongs to nobody).
set -eu
out=$1
mkdir -p "$out" && cd "$out"
bank='/C=CN/O=澄江测试银行/organizationIdentifier=NTRCN-91999999MA00BANK1L/CN=澄江测试银行'
person='/C=CN/serialNumber=IDCCN-999999198001010011/CN=甲测试'

key() { # name, then what genpkey takes
  name=$1; shift
  openssl genpkey "$@" -out "$name.key" 2>/dev/null
}
issue() { # name, subject, issuer, extensions, then options of x509
  name=$1; subject=$2; ca=$3; extensions=$4; shift 4
  openssl req -new -utf8 -nameopt utf8 -key "$name.key" -subj "$subject" -out request.pem "$@"
  printf '%s\n' "$extensions" > extensions.cnf
  openssl x509 -req -in request.pem -CA "$ca.pem" -CAkey "$ca.key" -set_serial "$(serial)" -days 10950 \
    -extfile extensions.cnf -out "$name.pem" "$@" 2>/dev/null
}
serial() { printf '0x4%s' "$(openssl rand -hex 15)"; }
root() { # name, subject, options
  name=$1; subject=$2; shift 2
  openssl req -x509 -new -utf8 -key "$name.key" -subj "$subject" -days 10950 -out "$name.pem" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" "$@"
}
AUTHORITY='basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
SIGNER='basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,nonRepudiation
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
STAMPER='basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'

key root -algorithm EC -pkeyopt ec_paramgen_curve:P-256
root root '/C=CN/O=互认测试/CN=互认测试根' -sha256
key sub -algorithm EC -pkeyopt ec_paramgen_curve:P-384
issue sub '/C=CN/O=互认测试/CN=互认测试机构' root "$AUTHORITY" -sha256
for curve in 256 384 521; do
  key p$curve -algorithm EC -pkeyopt ec_paramgen_curve:P-$curve
  issue p$curve "$bank" sub "$SIGNER" -sha384
done
key k1 -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1
issue k1 "$bank" sub "$SIGNER" -sha384
key explicit -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit
issue explicit "$bank" sub "$SIGNER" -sha384
for bits in 1024 2048 3072; do
  key rsa$bits -algorithm RSA -pkeyopt rsa_keygen_bits:$bits
  issue rsa$bits "$bank" sub "$SIGNER" -sha384
done
key pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048
issue pss "$bank" sub "$SIGNER" -sha384
key ed25519 -algorithm ED25519
issue ed25519 "$bank" sub "$SIGNER" -sha384
key ed448 -algorithm ED448
issue ed448 "$bank" sub "$SIGNER" -sha384
key person -algorithm EC -pkeyopt ec_paramgen_curve:P-256
issue person "$person" sub "$SIGNER" -sha384
key stamper -algorithm RSA -pkeyopt rsa_keygen_bits:2048
issue stamper '/C=CN/O=互认测试/CN=互认测试时间戳' sub "$STAMPER" -sha384
key stamper-ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256
issue stamper-ec '/C=CN/O=互认测试/CN=互认测试时间戳乙' sub "$STAMPER" -sha384

# RSA throughout, for libraries that read nothing else.
key rsaroot -algorithm RSA -pkeyopt rsa_keygen_bits:2048
root rsaroot '/C=CN/O=Interop Test/CN=Interop Test RSA Root' -sha256
key rsaleaf -algorithm RSA -pkeyopt rsa_keygen_bits:2048
issue rsaleaf '/C=CN/O=Interop Test Bank/organizationIdentifier=NTRCN-91999999MA00BANK1L/CN=Interop Test Bank' rsaroot "$SIGNER" -sha256

# The national suite: openssl signs with the user id of GB/T 35276 only when it is told.
ID=distid:1234567812345678
key smroot -algorithm SM2
root smroot '/C=CN/O=互认测试/CN=互认测试国密根' -sm3 -sigopt $ID
key smsub -algorithm SM2
sm() {
  name=$1; subject=$2; ca=$3; extensions=$4
  openssl req -new -utf8 -key "$name.key" -subj "$subject" -out request.pem -sm3 -sigopt $ID
  printf '%s\n' "$extensions" > extensions.cnf
  openssl x509 -req -in request.pem -CA "$ca.pem" -CAkey "$ca.key" -set_serial "$(serial)" -days 10950 \
    -extfile extensions.cnf -out "$name.pem" -sm3 -sigopt $ID -vfyopt $ID 2>/dev/null
}
sm smsub '/C=CN/O=互认测试/CN=互认测试国密机构' smroot "$AUTHORITY"
key sm2 -algorithm SM2
sm sm2 "$bank" smsub "$SIGNER"
key smstamper -algorithm SM2
sm smstamper '/C=CN/O=互认测试/CN=互认测试国密时间戳' smsub "$STAMPER"

cat sub.pem root.pem > chain.pem
cat smsub.pem smroot.pem > smchain.pem
mkdir -p trust
cat root.pem rsaroot.pem smroot.pem > trust/institution.pem
cp trust/institution.pem trust/person.pem
cp trust/institution.pem trust/tsa.pem
cat sub.pem smsub.pem > trust/intermediates.pem
rm -f request.pem extensions.cnf
