// Signs a file with other people's Go libraries, and judges what we signed: `make PKI CONTENT PDF OUT`,
// `check ANCHORS.pem CONTENT FILE...`.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/digitorus/pdfsign/sign"
	smpkcs7 "github.com/emmansun/gmsm/pkcs7"
	"github.com/emmansun/gmsm/smx509"
	steppkcs7 "github.com/smallstep/pkcs7"
	mozpkcs7 "go.mozilla.org/pkcs7"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func block(path string) []byte {
	found, _ := pem.Decode(must(os.ReadFile(path)))
	return found.Bytes
}

func main() {
	if os.Args[1] == "check" {
		check(os.Args[2], os.Args[3], os.Args[4:])
		return
	}
	pki, out := os.Args[2], os.Args[5]
	content := must(os.ReadFile(os.Args[3]))
	national(pki, content, out)
	international(pki, content, out)
	pdfs(pki, os.Args[4], out)
}

func national(pki string, content []byte, out string) {
	certificate := must(smx509.ParseCertificate(block(filepath.Join(pki, "sm2.pem"))))
	parent := must(smx509.ParseCertificate(block(filepath.Join(pki, "smsub.pem"))))
	key := must(smx509.ParsePKCS8PrivateKey(block(filepath.Join(pki, "sm2.key"))))
	for _, detached := range []bool{true, false} {
		for _, attributes := range []bool{true, false} {
			for _, shape := range []string{"35275", "cms"} {
				data := must(smpkcs7.NewSMSignedData(content))
				if shape == "cms" {
					data = must(smpkcs7.NewSignedData(content))
					data.SetDigestAlgorithm(smpkcs7.OIDDigestAlgorithmSM3)
					data.SetEncryptionAlgorithm(smpkcs7.OIDDigestEncryptionAlgorithmSM2)
				}
				var err error
				if attributes {
					err = data.AddSignerChain(certificate, key, []*smx509.Certificate{parent}, smpkcs7.SignerInfoConfig{})
				} else {
					err = data.SignWithoutAttr(certificate, key, smpkcs7.SignerInfoConfig{})
					data.AddCertificate(parent)
				}
				if err != nil {
					panic(err)
				}
				if detached {
					data.Detach()
				}
				name := fmt.Sprintf("gmsm-%s-%v-%v.p7s", shape, map[bool]string{true: "detached", false: "attached"}[detached], map[bool]string{true: "attributes", false: "bare"}[attributes])
				save(out, name, must(data.Finish()))
			}
		}
	}
}

func international(pki string, content []byte, out string) {
	for _, name := range []string{"p256", "rsa2048"} {
		certificate := must(x509.ParseCertificate(block(filepath.Join(pki, name+".pem"))))
		parent := must(x509.ParseCertificate(block(filepath.Join(pki, "sub.pem"))))
		key := must(x509.ParsePKCS8PrivateKey(block(filepath.Join(pki, name+".key"))))
		step := must(steppkcs7.NewSignedData(content))
		step.SetDigestAlgorithm(steppkcs7.OIDDigestAlgorithmSHA256)
		if err := step.AddSignerChain(certificate, key, []*x509.Certificate{parent}, steppkcs7.SignerInfoConfig{}); err != nil {
			panic(err)
		}
		step.Detach()
		save(out, "smallstep-"+name+".p7s", must(step.Finish()))
		moz := must(mozpkcs7.NewSignedData(content))
		moz.SetDigestAlgorithm(mozpkcs7.OIDDigestAlgorithmSHA256)
		if err := moz.AddSignerChain(certificate, key, []*x509.Certificate{parent}, mozpkcs7.SignerInfoConfig{}); err != nil {
			panic(err)
		}
		moz.Detach()
		save(out, "mozilla-"+name+".p7s", must(moz.Finish()))
	}
}

func pdfs(pki, base, out string) {
	for _, name := range []string{"p256"} {
		certificate := must(x509.ParseCertificate(block(filepath.Join(pki, name+".pem"))))
		parent := must(x509.ParseCertificate(block(filepath.Join(pki, "sub.pem"))))
		root := must(x509.ParseCertificate(block(filepath.Join(pki, "root.pem"))))
		key := must(x509.ParsePKCS8PrivateKey(block(filepath.Join(pki, name+".key")))).(crypto.Signer)
		for kind, certType := range map[string]sign.CertType{"approval": sign.ApprovalSignature, "certification": sign.CertificationSignature} {
			err := sign.SignFile(base, filepath.Join(out, "pdfsign-"+name+"-"+kind+".pdf"), sign.SignData{
				Signature: sign.SignDataSignature{
					Info:       sign.SignDataSignatureInfo{Name: "x", Reason: "抵押", Date: time.Now()},
					CertType:   certType,
					DocMDPPerm: sign.AllowFillingExistingFormFieldsAndSignaturesPerms,
				},
				Signer: key, DigestAlgorithm: crypto.SHA256, Certificate: certificate,
				CertificateChains: [][]*x509.Certificate{{certificate, parent, root}},
			})
			if err != nil {
				fmt.Println("pdfsign", name, kind, err)
			}
		}
	}
}

// check says of each file what gmsm makes of it, and of one without SM2 what smallstep does.
func check(anchors, path string, files []string) {
	content := must(os.ReadFile(path))
	pool, smPool := x509.NewCertPool(), smx509.NewCertPool()
	text := must(os.ReadFile(anchors))
	pool.AppendCertsFromPEM(text)
	smPool.AppendCertsFromPEM(text)
	for _, file := range files {
		data := must(os.ReadFile(file))
		sm, err := smpkcs7.Parse(data)
		if err == nil {
			if len(sm.Content) == 0 {
				sm.Content = content
			}
			err = sm.VerifyWithChain(smPool)
		}
		fmt.Println(filepath.Base(file), "gmsm", verdict(err))
		step, err := steppkcs7.Parse(data)
		if err == nil {
			if len(step.Content) == 0 {
				step.Content = content
			}
			err = step.VerifyWithChain(pool)
		}
		fmt.Println(filepath.Base(file), "smallstep", verdict(err))
	}
}

func verdict(err error) string {
	if err != nil {
		return err.Error()
	}
	return "OK"
}

func save(folder, name string, data []byte) {
	if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
		panic(err)
	}
}
