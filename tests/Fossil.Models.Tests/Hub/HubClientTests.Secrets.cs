using Fossil.Models.Hub;

namespace Fossil.Models.Tests.Hub;

/// <content>What is printed shows no token and no password.</content>
public sealed partial class HubClientTests
{
    [Fact]
    public void Options_are_printed_without_their_secrets()
    {
        var text = (options with { Token = "hush", Endpoint = new Uri("https://user:hush@hub.example/mirror?key=hush") }).ToString();
        Assert.DoesNotContain("hush", text, StringComparison.Ordinal);
        Assert.Contains("https://hub.example/mirror", text, StringComparison.Ordinal);
        Assert.All(typeof(HubOptions).GetProperties(), property => Assert.Contains($"{property.Name} = ", text, StringComparison.Ordinal));
        Assert.Contains("Token = ,", options.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hub", 401)]
    [InlineData("hub", 403)]
    [InlineData("hub", 500)]
    [InlineData("cdn", 403)]
    [InlineData("cdn", 404)]
    [InlineData("cdn", 500)]
    [InlineData("cdn", 307)]
    public async Task An_error_shows_no_secret(string server, int status)
    {
        hub.Fault = (asked, context) => asked == server && FakeHub.Answer(context, status, status == 307 ? [("Location", $"ftp://elsewhere/?{FakeHub.Signature}")] : []);
        var endpoint = new UriBuilder(hub.Address) { UserName = "user", Password = "hush" }.Uri;
        var exception = await Assert.ThrowsAsync<HubException>(() => DownloadModel(options with { Token = "hush", Endpoint = endpoint }));
        Assert.DoesNotContain("hush", exception.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(FakeHub.Signature, exception.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("two\nlines")]
    [InlineData("hush…")]
    public void A_token_that_cannot_be_sent_is_a_named_error_that_does_not_show_it(string token)
    {
        var exception = Assert.Throws<HubException>(() => new HubClient(options with { Token = token }));
        Assert.Equal(HubError.Unauthorized, exception.Error);
        Assert.DoesNotContain(token, exception.ToString(), StringComparison.Ordinal);
    }
}
