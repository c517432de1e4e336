package cgitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// TLSOptions change the certificate and the versions of a family. The zero
// value is the family as it is.
type TLSOptions struct {
	Hosts               []string // names and addresses for the certificate, beside the family's own
	MinVersion          uint16
	MaxVersion          uint16
	CipherSuites        []uint16
	NotBefore, NotAfter time.Time // zero = a day ago, in ten years
}

// Identity is what a client needs to trust a simulated endpoint.
type Identity struct {
	CAPEM       []byte // the certificate to put into ca_file
	Fingerprint string // SHA-256 of the leaf, hexadecimal
	ServerName  string // a name that the leaf carries, "" = none
}

// TLS makes a certificate in memory and returns the server side of a family.
func (f Family) TLS(o TLSOptions) (*tls.Config, Identity, error) {
	cert, id, err := f.certificate(o)
	if err != nil {
		return nil, Identity{}, fmt.Errorf("simulate endpoint: make certificate: %w", err)
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   f.tlsMin, MaxVersion: f.tlsMax, CipherSuites: f.suites,
		NextProtos: []string{"http/1.1"},
	}
	if o.MinVersion != 0 || o.MaxVersion != 0 {
		cfg.MinVersion, cfg.MaxVersion = o.MinVersion, o.MaxVersion
	}
	if o.CipherSuites != nil {
		cfg.CipherSuites = o.CipherSuites
	}
	return cfg, id, nil
}

// processKey is the key of every certificate of this process: a simulator
// guards nothing, and thousands of endpoints start faster. RSA, because
// old families know no other.
var processKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func (f Family) certificate(o TLSOptions) (tls.Certificate, Identity, error) {
	leafKey, err := processKey()
	if err != nil {
		return tls.Certificate{}, Identity{}, err
	}
	leaf := f.template(o)
	parent, parentKey := leaf, crypto.Signer(leafKey)
	chain := [][]byte(nil)
	if f.caSigned {
		if parent, parentKey, err = root(leaf); err != nil {
			return tls.Certificate{}, Identity{}, err
		}
		chain = append(chain, parent.Raw)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, leafKey.Public(), parentKey)
	if err != nil {
		return tls.Certificate{}, Identity{}, err
	}
	sum := sha256.Sum256(der)
	id := Identity{Fingerprint: hex.EncodeToString(sum[:]), CAPEM: toPEM(der)}
	if f.caSigned {
		id.CAPEM, id.ServerName = toPEM(parent.Raw), f.commonName
	}
	return tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: leafKey}, id, nil
}

func toPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (f Family) template(o TLSOptions) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: f.commonName, Organization: []string{"simulated endpoint"}},
		DNSNames:     f.dnsNames,
		NotBefore:    time.Now().Add(-24 * time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        !f.caSigned, BasicConstraintsValid: true,
	}
	if t.IsCA {
		t.KeyUsage |= x509.KeyUsageCertSign
	}
	if !o.NotBefore.IsZero() {
		t.NotBefore = o.NotBefore
	}
	if !o.NotAfter.IsZero() {
		t.NotAfter = o.NotAfter
	}
	for _, h := range o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames[:len(t.DNSNames):len(t.DNSNames)], h)
		}
	}
	return t
}

// root makes the vendor's own root, as it was seen on a TE40.
func root(leaf *x509.Certificate) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "huawei_ca"},
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	t, err = x509.ParseCertificate(der)
	return t, key, err
}
