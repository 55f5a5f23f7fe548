// kubelet-pull pulls one image through containerd as the kubelet does: PullImage of the container runtime interface.
//
//	kubelet-pull SOCKET IMAGE [USER:PASSWORD]...
//
// It tries the credentials in order until a pull succeeds; without any, the pull is anonymous. Every error goes to standard
// error, and the exit code is 1 if no pull succeeded.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: kubelet-pull SOCKET IMAGE [USER:PASSWORD]...")
		os.Exit(2)
	}
	connection, err := grpc.NewClient("unix://"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	images := runtime.NewImageServiceClient(connection)
	auths := []*runtime.AuthConfig{}
	for _, pair := range os.Args[3:] {
		user, password, _ := strings.Cut(pair, ":")
		auths = append(auths, &runtime.AuthConfig{Username: user, Password: password})
	}
	if len(auths) == 0 {
		auths = append(auths, nil)
	}
	for _, auth := range auths {
		request := &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: os.Args[2]}, Auth: auth}
		// Wait for a server that has just started.
		answer, err := images.PullImage(context.Background(), request, grpc.WaitForReady(true))
		if err == nil {
			fmt.Println(answer.GetImageRef())
			return
		}
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}
