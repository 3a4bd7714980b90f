using TorchSharp;

namespace Fossil.Tests;

public class NativeLibraryTests
{
    [Fact]
    public void LibtorchLoadsAndAdds()
    {
        using var ones = torch.ones(2, 3);
        using var sum = ones.sum();
        Assert.Equal(6f, sum.item<float>());
    }
}
