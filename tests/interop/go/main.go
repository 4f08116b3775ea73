// Command verify runs verifiers that other people wrote over a ledger: Tessera's fsck and torchwood's client, both on
// golang.org/x/mod/sumdb.
//
//	verify log VKEY URL-OR-FOLDER     the whole log; prints its size, and how many entries were read
//	verify proof VKEY FILE...         proof files that carry their entry in the line `extra`
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"filippo.io/torchwood"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: verify log|proof VKEY WHAT"))
	}
	verifier, err := note.NewVerifier(os.Args[2])
	fail(err)
	policy := torchwood.ThresholdPolicy(2,
		torchwood.OriginPolicy(verifier.Name()), torchwood.SingleVerifierPolicy(verifier))
	switch os.Args[1] {
	case "log":
		checkWithTorchwood(policy, os.Args[3])
		checkWithTessera(verifier, os.Args[3]) // second: at a mismatch it may wait for ever
	case "proof":
		for _, name := range os.Args[3:] {
			checkProof(policy, name)
		}
	}
}

// checkWithTessera derives every tile anew from the entries and compares.
func checkWithTessera(verifier note.Verifier, where string) {
	var source fsck.Fetcher = client.FileFetcher{Root: where}
	if strings.HasPrefix(where, "http://") {
		root, err := url.Parse(where)
		fail(err)
		source, err = client.NewHTTPFetcher(root, nil)
		fail(err)
	}
	fail(fsck.New(verifier.Name(), verifier, source, leafHashes, fsck.Opts{N: 2}).Check(context.Background()))
	fmt.Println("tessera: whole")
}

func leafHashes(bundle []byte) ([][]byte, error) {
	entries := &api.EntryBundle{}
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(entries.Entries))
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

// checkWithTorchwood reads every entry under a verified checkpoint.
func checkWithTorchwood(policy torchwood.Policy, where string) {
	type endpoint interface {
		torchwood.TileReader
		ReadEndpoint(ctx context.Context, path string) ([]byte, error)
	}
	ctx := context.Background()
	var source endpoint
	var err error
	if strings.HasPrefix(where, "http://") {
		source, err = torchwood.NewTileFetcher(where)
	} else {
		source, err = torchwood.NewTileFS(os.DirFS(where))
	}
	fail(err)
	signed, err := source.ReadEndpoint(ctx, "checkpoint")
	fail(err)
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	fail(err)
	reader, err := torchwood.NewClient(source)
	fail(err)
	read := 0
	for range reader.AllEntries(ctx, checkpoint.Tree, 0) {
		read++
	}
	fail(reader.Err())
	fmt.Printf("torchwood: %d of %d\n", read, checkpoint.N)
}

func checkProof(policy torchwood.Policy, name string) {
	proof, err := os.ReadFile(name)
	fail(err)
	entry, err := torchwood.ProofExtraData(proof)
	fail(err)
	fail(torchwood.VerifyProof(policy, tlog.RecordHash(entry), proof))
	fmt.Println("proof holds")
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
