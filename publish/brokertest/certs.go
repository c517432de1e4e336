package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority for one test.
type CA struct {
	File string // its certificate, PEM
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is a certificate with its key, both PEM.
type Pair struct{ CertFile, KeyFile string }

// NewCA makes an authority whose files live in the test's folder.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "roomcall test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca := &CA{key: newKey(tb)}
	der := sign(tb, tmpl, tmpl, ca.key, ca.key)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatalf("parse CA certificate: %v", err)
	}
	ca.cert = cert
	ca.File = writePEM(tb, tb.TempDir(), "ca.pem", "CERTIFICATE", der)
	return ca
}

// Server issues a certificate for the given host names and addresses.
func (ca *CA) Server(tb testing.TB, hosts ...string) Pair {
	tb.Helper()
	return ca.issue(tb, time.Now().Add(time.Hour), hosts...)
}

// Expired issues a server certificate that ended a minute ago.
func (ca *CA) Expired(tb testing.TB, hosts ...string) Pair {
	tb.Helper()
	return ca.issue(tb, time.Now().Add(-time.Minute), hosts...)
}

// Client issues a client certificate with this common name.
func (ca *CA) Client(tb testing.TB, name string) Pair {
	tb.Helper()
	return ca.issue(tb, time.Now().Add(time.Hour), name)
}

func (ca *CA) issue(tb testing.TB, end time.Time, hosts ...string) Pair {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: hosts[0]},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
			continue
		}
		tmpl.DNSNames = append(tmpl.DNSNames, h)
	}
	key := newKey(tb)
	der := sign(tb, tmpl, ca.cert, key, ca.key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatalf("encode key: %v", err)
	}
	dir := tb.TempDir()
	return Pair{
		CertFile: writePEM(tb, dir, "cert.pem", "CERTIFICATE", der),
		KeyFile:  writePEM(tb, dir, "key.pem", "PRIVATE KEY", pkcs8),
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("make key: %v", err)
	}
	return key
}

func sign(tb testing.TB, tmpl, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, by)
	if err != nil {
		tb.Fatalf("sign certificate: %v", err)
	}
	return der
}

func writePEM(tb testing.TB, dir, name, kind string, der []byte) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatalf("write certificate: %v", err)
	}
	return path
}
