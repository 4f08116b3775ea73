#!/bin/sh
# What openssl 3 makes: CMS files, bare values, time stamps. Arguments: the folder of pki.sh, the content, the folder to fill.
set -eu
P=$(realpath "$1") C=$(realpath "$2"); mkdir -p "$3"; cd "$3"
cms() { # name, key, options
  name=$1 key=$2; shift 2
  openssl cms -sign -binary -in "$C" -signer "$P/$key.pem" -inkey "$P/$key.key" -certfile "$P/chain.pem" -outform DER \
    -out "openssl-$name.p7s" "$@"
}
cms p384-sha256 p384 -cades
cms sha512 rsa2048 -md sha512
cms keyid p256 -keyid
cms stream p256 -nodetach -stream
cms explicit-curve explicit
cms pss-salt-max rsa2048 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:-2
cms two-signers p256 -signer "$P/person.pem" -inkey "$P/person.key"
cms pss-salt-20 rsa2048 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20
cms pss-other-mask rsa2048 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:32 -keyopt rsa_mgf1_md:sha512
cms no-attributes p256 -noattr
cms no-certificate p256 -nocerts
cms sha1 rsa2048 -md sha1
cms md5 rsa2048 -md md5
cms p521 p521
cms secp256k1 k1
cms rsa1024 rsa1024
cms other-type p256 -nodetach -econtent_type 1.2.3.4
openssl smime -sign -in "$C" -signer "$P/rsa2048.pem" -inkey "$P/rsa2048.key" -certfile "$P/chain.pem" -outform DER \
  -out openssl-smime-text.p7s  # without -binary it signs other line ends
openssl crl2pkcs7 -nocrl -certfile "$P/chain.pem" -outform DER -out openssl-certificates-only.p7s

value() { name=$1 key=$2; shift 2; openssl dgst -sign "$P/$key.key" -out "openssl-$name.$key.sig" "$@" "$C"; }
value default p384 -sha256
value sha512 p256 -sha512
value sha384 rsa2048 -sha384
value pss-default rsa2048 -sha256 -sigopt rsa_padding_mode:pss
value sm3 sm2 -sm3 -sigopt distid:1234567812345678
value sm3-without-user-id sm2 -sm3
value p521 p521 -sha512

settings() { # what differs from the plain authority
  cat > tsa.cnf <<C
[ tsa ]
default_tsa = one
[ one ]
serial = ./serial
signer_digest = ${1:-sha256}
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512, sha1, sm3
accuracy = secs:${4:-1}, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = ${3:-no}
ess_cert_id_alg = ${2:-sha256}
C
}
stamp() { # name, key, options of the query
  name=$1 key=$2; shift 2
  openssl ts -query -data "$C" -out q.tsq "$@"
  openssl ts -reply -config tsa.cnf -queryfile q.tsq -signer "$P/$key.pem" -inkey "$P/$key.key" -chain "$P/chain.pem" \
    -out "openssl-$name.tsr"
}
echo 01 > serial
settings; stamp plain stamper -sha256 -cert; stamp ecdsa stamper-ec -sha256 -cert; stamp no-nonce stamper -sha512 -cert -no_nonce
stamp sm3 stamper -sm3 -cert; stamp sha1-imprint stamper -sha1 -cert; stamp no-certificate stamper -sha256
settings sha256 sha1; stamp ess-v1 stamper -sha256 -cert
settings sha256 sha512 yes; stamp ess-v2-sha512-chain stamper -sha256 -cert
settings sha256 sha256 no 90; stamp inaccurate stamper -sha256 -cert
settings sha1; stamp sha1-signature stamper -sha256 -cert
rm -f tsa.cnf q.tsq serial serial.old
