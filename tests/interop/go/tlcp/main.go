// Command tlcp speaks TLCP (GB/T 38636, the handshake of GM/T 0024) with a stack that other people wrote.
//
//	tlcp proxy  -sign S -enc E -roots CLIENT-ISSUERS -above CHAIN -gateway HOST:PORT -gateway-roots R -tls T
//	tlcp tunnel -sign S -enc E -roots SERVER-ISSUERS -to HOST:PORT [-anonymous]
//
// proxy ends TLCP connections whose callers prove an SM2 key, and calls the gateway over mutual TLS in their place,
// with the certificate that was proven in one entry of the metadata. tunnel is what lets a client that knows no TLCP
// connect over it: bytes that come in on a free port go on inside a TLCP connection. S, E and T are paths without
// their ending: PATH.pem (with what leads to the anchor), PATH.key.pem. Each prints its port and runs until its
// input ends.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"

	"github.com/tjfoc/gmsm/gmtls"
	gmx509 "github.com/tjfoc/gmsm/x509"
	"golang.org/x/net/http2"
)

const forwarded = "X-Diya-Client-Certificate"

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: tlcp proxy|tunnel FLAGS")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	sign, enc := flags.String("sign", "", ""), flags.String("enc", "", "")
	roots, above := flags.String("roots", "", ""), flags.String("above", "", "")
	gateway, gatewayRoots := flags.String("gateway", "", ""), flags.String("gateway-roots", "", "")
	own, to := flags.String("tls", "", ""), flags.String("to", "", "")
	anonymous := flags.Bool("anonymous", false, "")
	fail(flags.Parse(os.Args[2:]))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	national := &gmtls.Config{GMSupport: gmtls.NewGMSupport()}
	if !*anonymous {
		national.Certificates = []gmtls.Certificate{pair(*sign), pair(*enc)}
	}
	pool := gmx509.NewCertPool()
	if !pool.AppendCertsFromPEM(read(*roots)) {
		log.Fatal("no certificate in ", *roots)
	}
	switch os.Args[1] {
	case "proxy":
		national.ClientAuth, national.ClientCAs = gmtls.RequireAndVerifyClientCert, pool
		onward := &http2.Transport{TLSClientConfig: ordinary(*own, *gatewayRoots)}
		go serve(listener, national, forward(onward, *gateway, ders(*above)))
	case "tunnel":
		national.RootCAs, national.ServerName = pool, "localhost"
		go tunnel(listener, national, *to)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// serve ends a TLCP connection for each caller and speaks HTTP/2 inside it.
func serve(listener net.Listener, national *gmtls.Config, onward func(entry [][]byte) http.Handler) {
	for {
		raw, err := listener.Accept()
		fail(err)
		go func() {
			defer raw.Close()
			connection := gmtls.Server(raw, national)
			if err := connection.Handshake(); err != nil {
				log.Print("handshake: ", err)
				return
			}
			state := connection.ConnectionState()
			log.Printf("TLCP %#04x, suite %#04x", state.Version, state.CipherSuite)
			handler := onward([][]byte{state.PeerCertificates[0].Raw}) // the signing certificate, never the other one
			(&http2.Server{}).ServeConn(connection, &http2.ServeConnOpts{Handler: handler})
		}()
	}
}

// forward calls the gateway in the place of whoever proved the certificate, whatever that caller says of itself.
func forward(onward http.RoundTripper, gateway string, above [][]byte) func([][]byte) http.Handler {
	return func(proven [][]byte) http.Handler {
		var parts []string
		for _, der := range append(proven, above...) {
			parts = append(parts, base64.RawURLEncoding.EncodeToString(der))
		}
		return &httputil.ReverseProxy{
			Transport:      onward,
			FlushInterval:  -1,
			ModifyResponse: trail,
			Rewrite: func(request *httputil.ProxyRequest) {
				request.Out.URL.Scheme, request.Out.URL.Host = "https", gateway
				request.Out.Host = gateway
				request.Out.Header.Set(forwarded, strings.Join(parts, "."))
			},
		}
	}
}

// trail puts the status of a refusal, which has no body, behind the headers: there it would be no status any more once
// they are flushed by themselves.
func trail(answer *http.Response) error {
	if answer.Header.Get("Grpc-Status") == "" {
		return nil
	}
	answer.Trailer = http.Header{}
	for name, values := range answer.Header {
		if name != "Content-Type" {
			answer.Trailer[name] = values
			answer.Header.Del(name)
		}
	}
	return nil
}

// tunnel carries each connection inside a TLCP one.
func tunnel(listener net.Listener, national *gmtls.Config, to string) {
	for {
		inner, err := listener.Accept()
		fail(err)
		go func() {
			defer inner.Close()
			outer, err := gmtls.Dial("tcp", to, national)
			if err != nil {
				log.Print("dial: ", err)
				return
			}
			defer outer.Close()
			go func() { _, _ = io.Copy(outer, inner); outer.Close() }()
			_, _ = io.Copy(inner, outer)
		}()
	}
}

func pair(path string) gmtls.Certificate {
	found, err := gmtls.X509KeyPair(read(path+".pem"), read(path+".key.pem"))
	fail(err)
	found.Certificate = found.Certificate[:1] // the second of what is sent is the one for encryption
	return found
}

func ordinary(path, roots string) *tls.Config {
	own, err := tls.LoadX509KeyPair(path+".pem", path+".key.pem")
	fail(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read(roots))
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}}
}

func ders(path string) [][]byte {
	var found [][]byte
	for rest := read(path); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return found
		}
		found = append(found, block.Bytes)
	}
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	fail(err)
	return data
}

func fail(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
